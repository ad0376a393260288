using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which tensors are meant, by patterns of their names: <c>*</c> stands for any characters, <c>?</c> for one, and a
/// <c>\</c> before a character for that character itself. The whole name counts, case included. Immutable.
/// </summary>
/// <param name="Include">Patterns of which one must fit; empty for every name.</param>
/// <param name="Exclude">Patterns of which none may fit; they win over <paramref name="Include"/>.</param>
public sealed record TensorChoice(ImmutableArray<string> Include, ImmutableArray<string> Exclude)
{
    /// <summary>Every tensor.</summary>
    public static TensorChoice All { get; } = new([], []);

    /// <summary>Whether a tensor of this name is meant.</summary>
    public bool Includes(string name) =>
        (Include.IsEmpty || Include.Any(pattern => NamePattern.Matches(pattern, name)))
        && !Exclude.Any(pattern => NamePattern.Matches(pattern, name));
}
