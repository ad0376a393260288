namespace IlgpuLoader.Microbenchmarks;

/// <summary>What an operation may allocate, and what it does.</summary>
/// <param name="Name">The operation.</param>
/// <param name="Budget">The bytes that it may allocate; null where nobody has said.</param>
/// <param name="Actual">The bytes that it allocates; null where there is no such operation any more.</param>
internal sealed record AllocationBudget(string Name, long? Budget, long? Actual)
{
    // The same code allocates the same objects. What differs between two runs is the runtime's own: a thread that is started, an array
    // that a pool has given to somebody else. Of the larger operations that is less than a hundredth.
    private const int ToleranceDivisor = 100;

    // A few tasks and a thread, where the operation itself allocates next to nothing.
    private const long SmallestTolerance = 1024;

    // Below nine tenths the budget would let a tenth of it come back unnoticed.
    private const long FarBelowTenths = 9;

    /// <summary>How the operation stands.</summary>
    public AllocationVerdict Verdict =>
        Budget is not { } budget ? AllocationVerdict.WithoutBudget
        : Actual is not { } actual ? AllocationVerdict.Unmeasured
        : actual - budget > Tolerance(budget) ? AllocationVerdict.Above
        : actual < (budget / 10 * FarBelowTenths) - SmallestTolerance ? AllocationVerdict.FarBelow
        : AllocationVerdict.Kept;

    /// <summary>Whether a change may land as it is.</summary>
    public bool Passes => Verdict is AllocationVerdict.Kept or AllocationVerdict.FarBelow;

    /// <summary>What the numbers may differ by.</summary>
    public static long Tolerance(long budget) => Math.Max(SmallestTolerance, budget / ToleranceDivisor);

    /// <summary>Holds what was measured against what is allowed; names that only one side has are there, too.</summary>
    public static IReadOnlyList<AllocationBudget> Compare(
        IReadOnlyDictionary<string, long> budgets, IReadOnlyDictionary<string, long> measured) =>
        [
            .. measured.Select(pair => new AllocationBudget(pair.Key, budgets.TryGetValue(pair.Key, out var budget) ? budget : null, pair.Value)),
            .. budgets.Where(pair => !measured.ContainsKey(pair.Key)).Select(pair => new AllocationBudget(pair.Key, pair.Value, null)),
        ];

    /// <summary>The line that a person reads.</summary>
    public override string ToString()
    {
        var numbers = $"{Name}: {(Actual is { } actual ? $"{actual:N0} bytes allocated" : "not measured")}, budget {Budget?.ToString("N0") ?? "none"}";
        return Verdict switch
        {
            AllocationVerdict.Above => $"{numbers}: above it by {Actual - Budget:N0}",
            AllocationVerdict.FarBelow => $"{numbers}: far below it; lower the budget (--update)",
            AllocationVerdict.WithoutBudget => $"{numbers}: give it one (--update)",
            AllocationVerdict.Unmeasured => $"{numbers}: no such operation; remove the budget (--update)",
            _ => numbers,
        };
    }
}
