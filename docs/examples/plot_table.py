"""
A table, from file to prediction
================================

A CSV file with text, numbers, dates and missing values is read as it is. Its preparation is learned from the
training part, and stored in the model.
"""

# %%
# A file as people have them
# --------------------------
# Prices of flats, made up here, with a missing value now and then.
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import xbnet

rng = np.random.default_rng(0)
n = 1200
flats = pd.DataFrame(
    {
        "area": rng.uniform(25, 140, n).round(1),
        "district": rng.choice(["north", "old town", "harbour", "hills"], n, p=[0.4, 0.2, 0.3, 0.1]),
        "floor": rng.integers(0, 8, n),
        "balcony": rng.choice(["yes", "no"], n),
    }
)
base = flats["district"].map({"north": 2.4, "old town": 4.1, "harbour": 3.2, "hills": 3.7})
flats["price"] = flats["area"] * base * (1 + 0.02 * flats["floor"]) + 8 * (flats["balcony"] == "yes")
flats["price"] = (flats["price"] + rng.normal(0, 12, n)).round(1)
flats.loc[rng.random(n) < 0.05, "area"] = np.nan
folder = TemporaryDirectory()
path = Path(folder.name, "flats.csv")
flats.iloc[:1000].to_csv(path, index=False)
flats.head()

# %%
# Train
# -----
# Categories become inputs of 0 and 1, gaps are filled and marked, numbers are standardized by the training part. The
# same on the command line: ``xbnet train --data flats.csv --target price``.
data = xbnet.load_dataset(path, target="price", val=0.2, scaling="standard").with_scaled_targets()
network = xbnet.Network(xbnet.mlp((32, 16), data.n_outputs, "relu"), data.n_inputs, rng=0)
history = xbnet.fit(network, "mse", xbnet.Adam(lr=0.005), data, epochs=200, patience=20, rng=0)
print(data.features)
history

# %%
# Is it good?
# -----------
# One page says so, with pictures; ``found.save("report.html")`` keeps it.
xbnet.save(network, Path(folder.name, "flats.safetensors"), schema=data.schema, history=history)
model = xbnet.load_model(Path(folder.name, "flats.safetensors"))
found = xbnet.report(model, data)
print({name: round(value, 2) for name, value in found.figures.items()})
found.pictures["Predicted against true, and residuals"]

# %%
# Which columns matter: by how much R2 falls when the values of a column are exchanged among the rows.
pd.DataFrame(found.importance, index=["mean", "spread"]).T.round(3)

# %%
# Predict
# -------
# The model takes raw rows, and answers in the target's own units.
new = flats.iloc[1000:].drop(columns="price")
predicted = model.predict_proba(new)[:, 0]
table = new.assign(predicted=predicted.round(1), true=flats["price"].iloc[1000:])
folder.cleanup()
table.head()
