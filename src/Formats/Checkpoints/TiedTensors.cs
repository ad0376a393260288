using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>Adds the names that share a stored tensor's bytes to a checkpoint. What does not fit becomes a warning.</summary>
internal static class TiedTensors
{
    private readonly record struct Claim(OpenedFile File, TensorInfo Target);

    /// <summary>Adds a tensor for each alias, behind the tensor whose storage it shares. The work is linear.</summary>
    /// <param name="files">All files of the checkpoint.</param>
    /// <param name="index">Its index, where there is one; an alias need not be in it.</param>
    /// <param name="byName">The stored tensors that count, by name; receives the aliases.</param>
    /// <param name="stored">The same in the order of files and bytes.</param>
    /// <param name="warnings">Receives what is ignored.</param>
    /// <returns>The stored tensors and the aliases, in order.</returns>
    public static ImmutableArray<TensorInfo>.Builder Add(
        IReadOnlyList<OpenedFile> files,
        ShardIndex? index,
        Dictionary<string, TensorInfo> byName,
        ImmutableArray<TensorInfo>.Builder stored,
        List<CheckpointWarning> warnings)
    {
        var claims = Collect(files, byName);
        RefuseStored(files, claims);
        var aliases = new Dictionary<TensorInfo, List<string>>();
        foreach (var (alias, claim) in claims)
        {
            if (index is not null && index.ShardOf.TryGetValue(alias, out var shard) && shard != claim.File.File.Name)
            {
                // The index says that it is stored elsewhere, which is then an error of the index.
                continue;
            }

            if (!aliases.TryGetValue(claim.Target, out var names))
            {
                aliases.Add(claim.Target, names = []);
            }

            names.Add(alias);
        }

        foreach (var file in files)
        {
            foreach (var problem in file.Content.Ties?.Problems ?? [])
            {
                warnings.Add(new CheckpointWarning(file.File.Path, problem));
            }
        }

        return Merge(stored, aliases, byName);
    }

    private static Dictionary<string, Claim> Collect(IReadOnlyList<OpenedFile> files, Dictionary<string, TensorInfo> byName)
    {
        var claims = new Dictionary<string, Claim>();
        var disputed = new HashSet<string>();
        foreach (var file in files)
        {
            if (file.Content.Ties is not { } ties)
            {
                continue;
            }

            foreach (var (alias, name) in ties.Targets)
            {
                if (!byName.TryGetValue(name, out var target) || target.File != file.File)
                {
                    ties.Refuse(alias, DescribeMissing(ties, name, target));
                }
                else if (!disputed.Contains(alias) && claims.TryAdd(alias, new Claim(file, target)))
                {
                    continue;
                }
                else
                {
                    // Neither counts: the order of the files says nothing about which one is right.
                    if (claims.Remove(alias, out var first))
                    {
                        disputed.Add(alias);
                        first.File.Content.Ties!.Refuse(
                            alias, $"{Quoted.Name(file.File.Name)} ties it to {Quoted.Name(name)} instead of {Quoted.Name(first.Target.Name)}");
                    }

                    ties.Refuse(alias, $"another file ties it to something else than {Quoted.Name(name)}");
                }
            }
        }

        return claims;
    }

    private static string DescribeMissing(FileTies ties, string name, TensorInfo? elsewhere) =>
        elsewhere is not null ? $"its target {Quoted.Name(name)} is in {Quoted.Name(elsewhere.File.Name)}, not in this file"
            : ties.Targets.ContainsKey(name) ? $"its target {Quoted.Name(name)} is an alias itself"
            : $"there is no tensor {Quoted.Name(name)} in this file";

    private static void RefuseStored(IReadOnlyList<OpenedFile> files, Dictionary<string, Claim> claims)
    {
        foreach (var file in files)
        {
            // Also of tensors that an index leaves out or maps elsewhere: the name has bytes of its own.
            foreach (var tensor in file.Content.Tensors)
            {
                if (claims.Remove(tensor.Name, out var claim))
                {
                    claim.File.Content.Ties!.Refuse(tensor.Name, $"{Quoted.Name(file.File.Name)} stores a tensor of this name");
                }
            }
        }
    }

    private static ImmutableArray<TensorInfo>.Builder Merge(
        ImmutableArray<TensorInfo>.Builder stored, Dictionary<TensorInfo, List<string>> aliases, Dictionary<string, TensorInfo> byName)
    {
        var merged = ImmutableArray.CreateBuilder<TensorInfo>(stored.Count + aliases.Count);
        foreach (var tensor in stored)
        {
            merged.Add(tensor);
            if (!aliases.TryGetValue(tensor, out var names))
            {
                continue;
            }

            names.Sort(StringComparer.Ordinal);
            foreach (var alias in names)
            {
                var tied = tensor.WithAlias(alias);
                merged.Add(tied);
                byName.Add(alias, tied);
            }
        }

        return merged;
    }
}
