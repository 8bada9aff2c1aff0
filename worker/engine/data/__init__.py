"""What a transfer set holds: samples, labels, parts, units; before any network sees them."""
