"""Jobs: what is denoised into what, how, and the record that it leaves."""
