using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>The verdict on one file or folder.</summary>
/// <param name="Path">The path as it was given; of an address what may be shown of it.</param>
/// <param name="Failure">What is wrong, or null where nothing is.</param>
/// <param name="Warnings">What is odd but valid.</param>
public sealed record VerificationResult(string Path, Exception? Failure, ImmutableArray<CheckpointWarning> Warnings)
{
    /// <summary>Whether the structure is valid.</summary>
    public bool IsValid => Failure is null;

    /// <summary>The broken rule's name, or <c>Unreadable</c> where the file could not be read at all.</summary>
    public string? Code => Failure switch
    {
        null => null,
        CheckpointException exception => exception.Code.ToString(),
        _ => "Unreadable",
    };
}
