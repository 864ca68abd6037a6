"""What was asked of the API: each request with its figures, written in batches beside the way of the requests."""
