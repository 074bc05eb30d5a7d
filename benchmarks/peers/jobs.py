"""The whole job of the main report: GMM, 5-10-7-5 with tanh, batch 64, SGD at 0.1; validated after every epoch.

scikit-learn validates only once, at the end: it can't be given a validation set.
"""

from __future__ import annotations

from functools import partial

import xbnet

HIDDEN, BATCH, LR = (10, 7), 64, 0.1


def with_xbnet(data: xbnet.Dataset, epochs: int, execution: str = "replay") -> float:
    """The best validation accuracy, on a level of execution."""
    layers = [*(xbnet.Linear(n, "tanh") for n in HIDDEN), xbnet.Linear(data.n_outputs)]
    network = xbnet.Network(layers, data.train.x.shape[1], rng=0)
    history = xbnet.fit(
        network,
        "cross_entropy",
        xbnet.SGD(LR),
        data,
        epochs=epochs,
        batch_size=BATCH,
        rng=0,
        execution=execution,
        progress=False,
    )
    return max(float(record["val_accuracy"][0]) for record in history.records)


def with_torch(data: xbnet.Dataset, epochs: int) -> float:
    """The best validation accuracy of the usual loop, with the data resident as tensors."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x, y = torch.from_numpy(data.train.x.astype("float32")), torch.from_numpy(data.train.y.astype("int64"))
    xv, yv = torch.from_numpy(data.val.x.astype("float32")), torch.from_numpy(data.val.y.astype("int64"))
    widths = [x.shape[1], *HIDDEN, data.n_outputs]
    layers: list[nn.Module] = []
    for k in range(len(widths) - 1):
        layers += [nn.Linear(widths[k], widths[k + 1]), nn.Tanh()]
    model, criterion = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    optimizer, best = torch.optim.SGD(model.parameters(), lr=LR), 0.0
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            criterion(model(x[index]), y[index]).backward()
            optimizer.step()
        with torch.no_grad():
            best = max(best, (model(xv).argmax(1) == yv).float().mean().item())
    return best


def with_scikit_learn(data: xbnet.Dataset, epochs: int) -> float:
    """The validation accuracy at the end."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier(
        HIDDEN,
        activation="tanh",
        solver="sgd",
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=LR,
        momentum=0.0,
        nesterovs_momentum=False,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    )
    model.fit(data.train.x.astype("float32"), data.train.y)
    return model.score(data.val.x.astype("float32"), data.val.y)


JOBS = {
    "xbnet": with_xbnet,
    "xbnet compiled": partial(with_xbnet, execution="compiled"),
    "scikit-learn": with_scikit_learn,
    "PyTorch loop": with_torch,
}
