using System.Collections.Immutable;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Formats;

/// <summary>
/// What lies where in the files of ranks, as the files' own headers say it, held against the manifests: what a header says of names, dtypes and shapes is compared here, and the bytes are hashed on the way of the whole
/// file. Immutable and safe for any thread.
/// </summary>
internal sealed class RankTensors
{
    private readonly Dictionary<string, ImmutableArray<HashedRange>> _ranges;

    private RankTensors(Dictionary<string, ImmutableArray<HashedRange>> ranges, ImmutableArray<ManifestMismatch> mismatches) => (_ranges, Mismatches) = (ranges, mismatches);

    /// <summary>The tensors that are others than the manifests say, whatever their bytes are.</summary>
    public ImmutableArray<ManifestMismatch> Mismatches { get; }

    /// <summary>Opens every file for its header. One that cannot be opened has no ranges: what is wrong with it, the look at its structure says.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="manifests">The manifests.</param>
    /// <param name="options">What to accept of each file; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    public static async Task<RankTensors> OpenAsync(string folder, ImmutableArray<RankManifest> manifests, CheckpointOptions? options, CancellationToken cancellationToken)
    {
        var ranges = new Dictionary<string, ImmutableArray<HashedRange>>(StringComparer.Ordinal);
        var mismatches = ImmutableArray.CreateBuilder<ManifestMismatch>();
        foreach (var manifest in manifests)
        {
            var missing = manifest.Tensors.Entries.Keys.ToHashSet(StringComparer.Ordinal);
            var all = true;
            foreach (var file in manifest.Files)
            {
                try
                {
                    var checkpoint = await Checkpoint.OpenAsync(Path.Combine(folder, file.Name), options, cancellationToken).ConfigureAwait(false);
                    await using (checkpoint.ConfigureAwait(false))
                    {
                        ranges.Add(file.Name, await RangesAsync(checkpoint, file, manifest, missing, mismatches, cancellationToken).ConfigureAwait(false));
                    }
                }
                catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
                {
                    all = false;
                }
            }

            if (all)
            {
                mismatches.AddRange(missing.Order(StringComparer.Ordinal).Select(name => new ManifestMismatch(name, $"no file of rank {manifest.Rank} has it")));
            }
        }

        return new RankTensors(ranges, mismatches.ToImmutable());
    }

    /// <summary>What of a file is hashed apart, in the order of the bytes, none over another.</summary>
    public ImmutableArray<HashedRange> Of(string file) => _ranges.GetValueOrDefault(file, []);

    private static async Task<ImmutableArray<HashedRange>> RangesAsync(
        Checkpoint checkpoint, ManifestFile file, RankManifest manifest, HashSet<string> missing, ImmutableArray<ManifestMismatch>.Builder mismatches, CancellationToken cancellationToken)
    {
        var ranges = ImmutableArray.CreateBuilder<HashedRange>();
        if (file.HeaderSha256 is { } header && checkpoint.Format == SafetensorsConstants.Format)
        {
            ranges.Add(new HashedRange(null, 0, await SafetensorsHeaderLength.ReadAsync(checkpoint.Files[0].Source, cancellationToken).ConfigureAwait(false), header));
        }

        foreach (var tensor in checkpoint.Tensors.Where(tensor => tensor.TiedTo is null).OrderBy(tensor => tensor.DataOffset).ThenBy(tensor => tensor.DataByteLength))
        {
            if (!manifest.Tensors.Entries.TryGetValue(tensor.Name, out var entry))
            {
                mismatches.Add(new ManifestMismatch(tensor.Name, $"the manifest of rank {manifest.Rank} does not have it"));
                continue;
            }

            missing.Remove(tensor.Name);
            if (entry.DType != tensor.DType || entry.Shape != tensor.Shape)
            {
                mismatches.Add(new ManifestMismatch(tensor.Name, $"it is {tensor.DType.Name} {tensor.Shape} in rank {manifest.Rank}, expected was {entry.DType.Name} {entry.Shape}"));
                continue;
            }

            // Formats in which tensors may lie over each other are not those that ranks write.
            if (ranges.Count == 0 || tensor.DataOffset >= ranges[^1].Offset + ranges[^1].Length)
            {
                ranges.Add(new HashedRange(tensor.Name, tensor.DataOffset, tensor.DataByteLength, entry.Sha256));
            }
        }

        return ranges.ToImmutable();
    }
}
