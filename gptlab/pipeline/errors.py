"""The one error of the contract."""


class ContractError(TypeError):
    """Parts that do not fit: where, what was got, what was wanted, and what to do.

    It is a `TypeError` because what is wrong is the program, not its data: it is raised when parts are composed,
    before a file is opened, or at a seam when a stage yields what its annotation does not promise.
    """
