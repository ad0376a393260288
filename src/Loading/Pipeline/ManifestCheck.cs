using System.Security.Cryptography;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Holds a load against a manifest: names, dtypes and shapes before a byte is read, hashes as tensors come in. Safe for any
/// thread.
/// </summary>
internal sealed class ManifestCheck
{
    private readonly LoadPlan _plan;
    private readonly TensorManifest _manifest;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<int, ManifestMismatch> _mismatches = [];

    private ManifestCheck(LoadPlan plan, TensorManifest manifest)
    {
        _plan = plan;
        _manifest = manifest;
    }

    /// <summary>Begins a check of a plan, where its options have a manifest.</summary>
    /// <exception cref="ManifestMismatchException">The tensors are others than the manifest's, whatever their bytes are.</exception>
    public static ManifestCheck? Of(LoadPlan plan)
    {
        if (plan.Options.Manifest is not { } manifest)
        {
            return null;
        }

        var mismatches = plan.Tensors
            .Select(tensor => Describe(tensor.Source, manifest))
            .Concat(Missing(plan, manifest))
            .OfType<ManifestMismatch>()
            .ToArray();
        return mismatches.Length == 0
            ? new ManifestCheck(plan, manifest)
            : throw new ManifestMismatchException(plan.Checkpoint.Path, [.. mismatches], plan.Checkpoint.Format);
    }

    /// <summary>Holds the hash of a tensor's stored bytes against its entry, and against those of the tensors tied to it.</summary>
    public void Check(int tensor, ReadOnlySpan<byte> sha256)
    {
        var actual = Convert.ToHexStringLower(sha256);
        Check(tensor, actual);
        foreach (var tied in _plan.TiedWith(tensor))
        {
            Check(tied, actual);
        }
    }

    /// <summary>Holds a tensor without bytes against its entry.</summary>
    public void CheckEmpty(int tensor) => Check(tensor, SHA256.HashData([]));

    /// <summary>Whether a tensor, or one that shares its memory, has other bytes than the manifest says; of a block, any of its tensors.</summary>
    public bool Differs(int destination)
    {
        lock (_lock)
        {
            return _mismatches.ContainsKey(destination) || _plan.Sharing(destination).Any(_mismatches.ContainsKey);
        }
    }

    /// <summary>Ends the check.</summary>
    /// <exception cref="ManifestMismatchException">Tensors have other bytes; the exception has all of them.</exception>
    public void ThrowIfDifferent()
    {
        if (_mismatches.Count > 0)
        {
            throw new ManifestMismatchException(_plan.Checkpoint.Path, [.. _mismatches.Values], _plan.Checkpoint.Format);
        }
    }

    private void Check(int tensor, string actual)
    {
        var source = _plan.Tensors[tensor].Source;
        var expected = _manifest.Entries[source.Name].Sha256;
        if (actual != expected)
        {
            lock (_lock)
            {
                _mismatches[tensor] = new ManifestMismatch(
                    source.Name, $"its {source.DataByteLength} bytes at {source.DataOffset} of {source.File.Path} have the SHA-256 {actual}, expected was {expected}");
            }
        }
    }

    private static ManifestMismatch? Describe(TensorInfo tensor, TensorManifest manifest)
    {
        if (!manifest.Entries.TryGetValue(tensor.Name, out var entry))
        {
            return new ManifestMismatch(tensor.Name, "the manifest does not have it");
        }

        return entry.DType == tensor.DType && entry.Shape == tensor.Shape
            ? null
            : new ManifestMismatch(tensor.Name, $"it is {tensor.DType.Name} {tensor.Shape}, expected was {entry.DType.Name} {entry.Shape}");
    }

    // What the options leave out need not be there.
    private static IEnumerable<ManifestMismatch> Missing(LoadPlan plan, TensorManifest manifest)
    {
        var choice = new TensorChoice(plan.Options.Include, plan.Options.Exclude);
        return manifest.Entries.Keys
            .Where(name => !plan.Checkpoint.TryGetTensor(name, out _) && choice.Includes(name))
            .Select(name => new ManifestMismatch(name, "the checkpoint does not have it"));
    }
}
