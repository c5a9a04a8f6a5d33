"""Reading what people write: text to values (`reader`), values to documents (`document`)."""
