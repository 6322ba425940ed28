"""The preview: what is in view, denoised nearest the centre first. No Qt here."""
