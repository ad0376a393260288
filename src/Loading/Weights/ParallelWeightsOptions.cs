using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>What <see cref="ParallelSafetensorsWeights"/> gives and how. Immutable.</summary>
public sealed record ParallelWeightsOptions : WeightsOptions
{
    /// <summary>The default number of workers, vLLM's.</summary>
    public const int DefaultMaximumWorkers = 4;

    /// <summary>The defaults.</summary>
    public static ParallelWeightsOptions Default { get; } = new();

    /// <summary>
    /// How many files are read side by side at most, at least 1. They share <see cref="LoadOptions.StagingBytes"/>, <see cref="LoadOptions.StreamWindowBytes"/>
    /// and the lanes, each has an equal part: fewer where the parts would be too small to read with.
    /// </summary>
    public int MaximumWorkers { get; init; } = DefaultMaximumWorkers;

    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    internal static void CheckWorkers(int workers, string option)
    {
        if (workers < 1)
        {
            throw new ArgumentException($"At least one worker reads files, and {workers} are asked for.", option);
        }
    }
}
