"""Processing job: raw splits to prepared splits and the fitted preprocessing."""
