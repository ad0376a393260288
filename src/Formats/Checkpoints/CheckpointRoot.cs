using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// The part of a checkpoint under one key, as training checkpoints keep the weights beside the optimiser's state: narrows
/// a checkpoint to it where that is asked for, and says which it is where the structure shows it.
/// </summary>
internal static class CheckpointRoot
{
    /// <summary>The name of what lies below a root.</summary>
    public static string Join(string root, string name) => $"{root}.{name}";

    /// <summary>The root that all files with tensors agree on, or null.</summary>
    public static string? OfWeights(IEnumerable<OpenedFile> files)
    {
        string?[] roots = [.. files.Where(file => file.Content.Tensors.Count > 0).Select(file => file.Content.WeightsRoot).Distinct()];
        return roots.Length == 1 ? roots[0] : null;
    }

    /// <summary>
    /// Takes the root from the names of metadata below it, so that <c>weight.q_scale</c> still goes with <c>weight</c>; what is
    /// elsewhere keeps its name, and gives way to what is below the root.
    /// </summary>
    public static Dictionary<string, object> Narrow(string root, IReadOnlyDictionary<string, object> metadata)
    {
        var prefix = Join(root, "");
        var narrowed = new Dictionary<string, object>(metadata.Count);
        foreach (var (key, value) in metadata)
        {
            if (key.StartsWith(prefix, StringComparison.Ordinal))
            {
                _ = narrowed.TryAdd(key[prefix.Length..], value);
            }
        }

        foreach (var (key, value) in metadata)
        {
            if (!key.StartsWith(prefix, StringComparison.Ordinal))
            {
                _ = narrowed.TryAdd(key, value);
            }
        }

        return narrowed;
    }

    /// <summary>Leaves out the tensors of unknown types that are not below a root, and the root in the names of the others.</summary>
    public static IEnumerable<UnreadableTensor> Narrow(string root, IEnumerable<UnreadableTensor> tensors)
    {
        var prefix = Join(root, "");
        return tensors.Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal)).Select(tensor => tensor with { Name = tensor.Name[prefix.Length..] });
    }

    /// <summary>Leaves out all tensors that are not below a root, and the root in the names of the others.</summary>
    /// <param name="path">The checkpoint, for messages.</param>
    /// <param name="root">The root.</param>
    /// <param name="tensors">The tensors in order.</param>
    /// <param name="byName">The same by name; narrowed with them.</param>
    /// <exception cref="InvalidCheckpointException">Nothing is below the root.</exception>
    public static ImmutableArray<TensorInfo>.Builder Narrow(
        string path, string root, ImmutableArray<TensorInfo>.Builder tensors, Dictionary<string, TensorInfo> byName)
    {
        var prefix = Join(root, "");
        var narrowed = ImmutableArray.CreateBuilder<TensorInfo>();
        var substitutes = new Dictionary<string, string>();
        byName.Clear();
        foreach (var tensor in tensors)
        {
            if (!tensor.Name.StartsWith(prefix, StringComparison.Ordinal))
            {
                continue;
            }

            var name = tensor.Name[prefix.Length..];
            string? tiedTo = null;
            if (tensor.TiedTo is { } target && target.StartsWith(prefix, StringComparison.Ordinal))
            {
                tiedTo = target[prefix.Length..];
            }
            else if (tensor.TiedTo is { } outside && !substitutes.TryAdd(outside, name))
            {
                // What it is an alias of is left out: the first of its aliases that stays takes its place.
                tiedTo = substitutes[outside];
            }

            var renamed = tensor.WithName(name, tiedTo);
            narrowed.Add(renamed);
            byName.Add(renamed.Name, renamed);
        }

        return narrowed.Count > 0 ? narrowed : throw new InvalidCheckpointException(
            CheckpointErrorCode.RootMissing, path, $"there are no tensors below {Quoted.Name(root)}; {Describe(tensors)}.");
    }

    private static string Describe(ImmutableArray<TensorInfo>.Builder tensors)
    {
        const int shown = 5;
        string[] keys = [.. tensors.Where(tensor => tensor.Name.Contains('.', StringComparison.Ordinal))
            .Select(tensor => tensor.Name[..tensor.Name.IndexOf('.', StringComparison.Ordinal)])
            .Distinct()];
        return keys.Length == 0
            ? "the tensors lie at the top"
            : $"there are tensors below {string.Join(", ", keys.Take(shown).Select(Quoted.Name))}{(keys.Length > shown ? ", …" : "")}";
    }
}
