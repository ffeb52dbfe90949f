"""Files of gridded fields, made as their owners make them."""

import h5netcdf
import h5py
import numpy as np
from scipy.io import netcdf_file

LATITUDES = np.arange(-90, 90, 5.0)
LONGITUDES = np.arange(0, 360, 5.0)


def write_fields(path, first, steps, calendar="noleap", lacking="", latitudes=LATITUDES, longitudes=LONGITUDES):
    """U850 counts time, V850 is the longitude and PSL the latitude, so that a cut tells where it is from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": steps, "lat": len(LATITUDES), "lon": len(LONGITUDES)}
        axes = {"time": 3.0 * (first + np.arange(steps)), "lat": latitudes, "lon": longitudes}
        for name in axes.keys() - {lacking}:
            file.create_variable(name, (name,), "f8", data=axes[name])
        if lacking not in ("time", "units"):
            attributes = file.variables["time"].attrs
            attributes["units"], attributes["calendar"] = "hours since 1996-02-27", calendar
        shape = (steps, len(LATITUDES), len(LONGITUDES))
        counted = np.broadcast_to((first + np.arange(steps, dtype=np.float32))[:, None, None], shape)
        values = {"U850": counted, "V850": np.broadcast_to(longitudes, shape)}
        values["PSL"] = np.broadcast_to(latitudes[:, None], shape)
        for name, field in values.items():
            made = file.create_variable(
                name, ("time", "lat", "lon"), "f4", data=np.ascontiguousarray(field, np.float32)
            )
            made.attrs["units"] = {"PSL": "Pa"}.get(name, "m/s")


def track(storm, first, last, latitude, longitude, start="1996-02-27T00"):
    moments = np.datetime64(start) + 3 * np.arange(first, last + 1) * np.timedelta64(1, "h")
    return [f"{storm},{moment},{latitude},{longitude}" for moment in moments]


def write_storm(folder, name, values):
    """A NetCDF 3 file as the example data of NCL are."""
    with netcdf_file(folder / f"{name}storm.cdf", "w") as file:
        for axis, length in zip(("timestep", "lat", "lon"), values.shape, strict=True):
            file.createDimension(axis, length)
        file.createVariable("timestep", "i4", ("timestep",))[:] = 6 * np.arange(len(values))
        file.createVariable(name.rstrip("05").lower(), "f4", ("timestep", "lat", "lon"))[:] = values


def write_era5(path, hours=10, times="time", name="t2m", at=None):
    """at: the hours, -1 for a date that is missing; by default one after the other."""
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {times: hours, "latitude": 4, "longitude": 6}
        file.create_variable("latitude", ("latitude",), "f4", data=np.arange(4.0))
        time = file.create_variable(times, (times,), "i8", data=np.arange(hours) if at is None else np.array(at))
        time.attrs["units"] = "hours since 2019-03-01"
        time.attrs["_FillValue"] = np.int64(-1)
        values = np.arange(hours * 24, dtype=np.float32).reshape(hours, 4, 6)
        field = file.create_variable(name, (times, "latitude", "longitude"), "f4", data=values)
        field.attrs["units"] = "K"


def write_radar(folder, minute, shape=(6, 8)):
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / f"RAD_NL25_RAP_5min_2010082600{minute:02d}.h5", "w") as file:
        counts = np.full(shape, 100 * minute, np.uint16)
        counts[0] = 65535
        file["image1/image_data"] = counts
