"""The napari dock: state and controller know no Qt, worker and widget do."""
