"""The texts of the modules that `to_torch` prints, where PyTorch has none of that kind."""

RESIDUAL = """
class Residual(nn.Module):
    def __init__(self, width, n_hidden, activation, begin, end):
        super().__init__()
        self.first, self.second = nn.Linear(width, n_hidden), nn.Linear(n_hidden, width, bias=False)
        self.activation, self.begin, self.end = activation, begin, end

    def forward(self, x):
        return self.end(x + self.second(self.activation(self.first(self.begin(x)))))
"""
SCALE = """
class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gain
"""
PARAMETRIC = """
class Parametric(nn.Module):
    def __init__(self, width, activation):
        super().__init__()
        self.activation, self.share = activation, nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.share * self.activation(x) + (1 - self.share) * x
"""
STANDARDIZE = """
class Standardize(nn.Module):
    def __init__(self, n_inputs):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_inputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_inputs, dtype=torch.float64))

    def forward(self, x):
        return ((x.double() - self.mean) / self.scale).to(torch.DTYPE)  # differences of large numbers need float64
"""
PUT_BACK = """
class PutBack(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_outputs, dtype=torch.float64))

    def forward(self, y):
        return y.double() * self.scale + self.mean  # in the target's units
"""
ENCODE = '''
class Encode(nn.Module):
    """Columns by name -> inputs (N, I). A category is texts ("" or None where one is missing); any other column is
    numbers (NaN where one is missing): truth values 0 and 1, dates the seconds since 1970."""

    def __init__(self, columns):
        super().__init__()
        self.columns = columns

    def forward(self, table):
        return torch.cat([self.encode(c, table[c["name"]]) for c in self.columns], dim=1).to(torch.DTYPE)

    def encode(self, column, values):
        if column["kind"] == "category":
            n, place = len(column["values"]), {value: i for i, value in enumerate(column["values"])}
            rare, missing = n if column["rare"] else -1, n + column["rare"] if column["missing"] else -1
            words = ["" if value is None or value != value else str(value).strip() for value in values]
            numbers = [place.get(word, missing if word.lower() in MISSING else rare) for word in words]
            return (torch.tensor(numbers)[:, None] == torch.arange(n + column["rare"] + column["missing"])).double()
        x = torch.as_tensor(values, dtype=torch.float64)[:, None]
        absent = torch.isnan(x)
        filled = torch.where(absent, column["fill"], x)
        scaled = (filled - column.get("mean", 0.0)) / column.get("std", 1.0)
        return torch.cat([scaled, absent.double()], dim=1) if column["indicator"] else scaled
'''
MEMBERS = """
class Members(nn.Module):
    def __init__(self, members, width):
        super().__init__()
        self.r = nn.Parameter(torch.ones(members, width))

    def forward(self, x):
        return (x[:, None] * self.r).flatten(1)  # the members side by side
"""
SHARED_LINEAR = """
class SharedLinear(nn.Module):
    def __init__(self, members, width, n_outputs, biases):
        super().__init__()
        self.r, self.q = nn.Parameter(torch.ones(members, width)), nn.Parameter(torch.ones(members, n_outputs))
        self.W, self.b = nn.Parameter(torch.ones(width, n_outputs)), nn.Parameter(torch.zeros(biases, n_outputs))

    def forward(self, x):
        return ((x.unflatten(1, self.r.shape) * self.r) @ self.W * self.q + self.b).flatten(1)
"""
MEMBER_OUTPUTS = """
class MemberOutputs(nn.Module):
    def __init__(self, members, width, n_outputs, probabilities):
        super().__init__()
        self.W = nn.Parameter(torch.ones(members, width, n_outputs))
        self.b = nn.Parameter(torch.zeros(members, 1, n_outputs))
        self.probabilities = probabilities  # their mean, as its logarithm

    def forward(self, x):
        z = x.unflatten(1, self.W.shape[:2]).transpose(0, 1) @ self.W + self.b
        return z.softmax(2).mean(0).clamp_min(torch.finfo(z.dtype).tiny).log() if self.probabilities else z.mean(0)
"""
TEXTS = {
    "Members(": MEMBERS,
    "SharedLinear(": SHARED_LINEAR,
    "MemberOutputs(": MEMBER_OUTPUTS,
    "Residual(": RESIDUAL,
    "Standardize(": STANDARDIZE,
    "PutBack(": PUT_BACK,
    "Encode(": ENCODE,
    "Scale(": SCALE,
    "Parametric(": PARAMETRIC,
}
"""How a module is called -> its text."""
