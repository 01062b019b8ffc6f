"""The sections of the report, one a file. The registry is in the package `report`."""
