"""What an answer says: thoughts, text and tool calls told apart as they come. No MLX here."""
