using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>Tensors or files of a checkpoint are not those that a manifest describes: other bytes, or others altogether.</summary>
public sealed class ManifestMismatchException : CheckpointException
{
    // One corrupt shard may hold hundreds; the first few tell which, the property has all.
    private const int Shown = 5;

    /// <summary>Makes the exception.</summary>
    /// <param name="file">The checkpoint's file or folder.</param>
    /// <param name="mismatches">Every tensor that differs, at least one.</param>
    /// <param name="format">The container format.</param>
    public ManifestMismatchException(string? file, ImmutableArray<ManifestMismatch> mismatches, string? format = null)
        : base(
            CheckpointErrorCode.ManifestMismatch,
            file,
            Compose("tensor", [.. mismatches.Select(mismatch => (mismatch.Tensor, mismatch.Problem))]),
            format)
    {
        Mismatches = mismatches;
        Files = [];
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="files">Every file that differs, at least one.</param>
    public ManifestMismatchException(string folder, ImmutableArray<FileMismatch> files)
        : base(CheckpointErrorCode.ManifestMismatch, folder, Compose("file", [.. files.Select(mismatch => (mismatch.File, mismatch.Problem))]))
    {
        Mismatches = [];
        Files = files;
    }

    /// <summary>Every tensor that differs; empty where files were compared.</summary>
    public ImmutableArray<ManifestMismatch> Mismatches { get; }

    /// <summary>Every file that differs; empty where tensors were compared.</summary>
    public ImmutableArray<FileMismatch> Files { get; }

    private static string Compose(string kind, ImmutableArray<(string Name, string Problem)> mismatches)
    {
        var shown = mismatches.Take(Shown).Select(mismatch => $"{kind} {Quoted.Name(mismatch.Name)}: {mismatch.Problem}");
        var more = mismatches.Length > Shown ? $"; and {mismatches.Length - Shown} more" : "";
        return $"{mismatches.Length} {(mismatches.Length == 1 ? $"{kind} differs" : $"{kind}s differ")} from the manifest: {string.Join("; ", shown)}{more}. "
            + "Fetch the checkpoint again, or make a new manifest if it was changed on purpose.";
    }
}
