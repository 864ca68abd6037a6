"""What the next token of an answer may be: grammars of clients and of tool calls, and the ends of thoughts."""
