namespace IlgpuLoader.Harness;

/// <summary>One thing that is measured.</summary>
internal interface IScenario
{
    /// <summary>The name on the command line.</summary>
    string Name { get; }

    /// <summary>What it measures, in a line.</summary>
    string Description { get; }

    /// <summary>Measures it.</summary>
    Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken);
}
