"""Many files: found, admitted, read by several workers at once, and written down so that a run can go on."""
