"""Tables, the run folder, provenance: everything that touches the disk but images and reports."""
