using System.Collections.Immutable;
using System.Collections.ObjectModel;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which modules of a checkpoint a model packs into one, and back: <c>qkv_proj</c> of <c>q_proj</c>, <c>k_proj</c> and <c>v_proj</c> (vLLM's class of that name). Immutable and safe for any thread.
/// </summary>
public sealed class ParamMapping
{
    private readonly OrderedDictionary<string, ImmutableArray<string>> _packed = new(StringComparer.Ordinal);

    /// <summary>Makes the mapping.</summary>
    /// <param name="packed">Packed modules with their parts in the order in which they are packed.</param>
    /// <exception cref="ArgumentException">A packed module is there twice.</exception>
    public ParamMapping(IEnumerable<KeyValuePair<string, ImmutableArray<string>>> packed)
    {
        ArgumentNullException.ThrowIfNull(packed);
        var inverse = new OrderedDictionary<string, (string Packed, int Index)>(StringComparer.Ordinal);
        foreach (var (name, parts) in packed)
        {
            if (name is null || parts.IsDefault || !_packed.TryAdd(name, parts))
            {
                var problem = name is null || parts.IsDefault ? "has no name or no list of parts" : "is there twice";
                throw new ArgumentException($"The packed module {Quoted.Name(name ?? "")} {problem}.", nameof(packed));
            }

            if (parts is [var only] && only == name)
            {
                continue;
            }

            for (var i = 0; i < parts.Length; i++)
            {
                inverse[parts[i]] = (name, i);
            }
        }

        Packed = new ReadOnlyDictionary<string, ImmutableArray<string>>(_packed);
        Inverse = new ReadOnlyDictionary<string, (string Packed, int Index)>(inverse);
    }

    /// <summary>Packed modules and their parts, in the order in which they were given.</summary>
    public IReadOnlyDictionary<string, ImmutableArray<string>> Packed { get; }

    /// <summary>
    /// For each part the module that packs it, and its number there. A module that packs only itself (<c>W_pack</c> of <c>W_pack</c>) is not in it; of a part that two modules pack the later is.
    /// </summary>
    public IReadOnlyDictionary<string, (string Packed, int Index)> Inverse { get; }

    /// <summary>Finds the parts of a module: those of the first packed module, in their order, that the name ends with.</summary>
    /// <param name="moduleName">The name, such as <c>model.layers.0.self_attn.qkv_proj</c>.</param>
    /// <returns>The packed module and its parts, also where it packs only itself; null where the module packs nothing.</returns>
    public (string Packed, ImmutableArray<string> Parts)? GetSubModules(string moduleName)
    {
        ArgumentNullException.ThrowIfNull(moduleName);
        foreach (var (packed, parts) in _packed)
        {
            if (moduleName.EndsWith(packed, StringComparison.Ordinal))
            {
                return (packed, parts);
            }
        }

        return null;
    }
}
