using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>Tensors of a checkpoint are not those that a manifest describes: other bytes, or others altogether.</summary>
public sealed class ManifestMismatchException : CheckpointException
{
    // One corrupt shard may hold hundreds; the first few tell which, the property has all.
    private const int Shown = 5;

    /// <summary>Makes the exception.</summary>
    /// <param name="file">The checkpoint's file or folder.</param>
    /// <param name="mismatches">Every tensor that differs, at least one.</param>
    /// <param name="format">The container format.</param>
    public ManifestMismatchException(string? file, ImmutableArray<ManifestMismatch> mismatches, string? format = null)
        : base(CheckpointErrorCode.ManifestMismatch, file, Compose(mismatches), format) =>
        Mismatches = mismatches;

    /// <summary>Every tensor that differs.</summary>
    public ImmutableArray<ManifestMismatch> Mismatches { get; }

    private static string Compose(ImmutableArray<ManifestMismatch> mismatches)
    {
        var shown = mismatches.Take(Shown).Select(mismatch => $"tensor {Quoted.Name(mismatch.Tensor)}: {mismatch.Problem}");
        var more = mismatches.Length > Shown ? $"; and {mismatches.Length - Shown} more" : "";
        return $"{mismatches.Length} {(mismatches.Length == 1 ? "tensor differs" : "tensors differ")} from the manifest: {string.Join("; ", shown)}{more}. "
            + "Fetch the checkpoint again, or make a new manifest if it was changed on purpose.";
    }
}
