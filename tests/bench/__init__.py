"""Benchmarks: memx against the formats' own tools, measured from outside of each process.

- `row`: what is measured, and the goals
- `runner`, `meter`: commands run in turns as whole processes, their time and peak
- `startup` `dicom` `fits` `hdf5` `netcdf` `audio` `video` `binary` `dataset`: the rows, a module a format
- `growth`: how time and memory grow with the number of records
- `engine`: what the memory engine gains and costs, within one process
- `report`: the tables
- `smoke`: what a commit is held against, in less than two minutes
"""
