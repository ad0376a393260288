using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>One thing that is measured.</summary>
internal interface IScenario
{
    /// <summary>The name on the command line.</summary>
    string Name { get; }

    /// <summary>What it measures, in a line.</summary>
    string Description { get; }

    /// <summary>Whether it runs where none is named: not what takes minutes by itself.</summary>
    bool IsDefault => true;

    /// <summary>What it makes in the data folder, and keeps there.</summary>
    IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [];

    /// <summary>Measures it.</summary>
    Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken);
}
