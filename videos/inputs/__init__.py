"""What clips start from: files that were uploaded, pictures and clips that came with a request, earlier videos."""
