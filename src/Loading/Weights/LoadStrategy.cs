using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How <see cref="SafetensorsWeights"/> brings the weights of a file. Immutable.</summary>
public sealed class LoadStrategy
{
    private LoadStrategy(string name) => Name = name;

    /// <summary><c>lazy</c>, the default: weights are given without their values, and read when they are used, the part that is used.</summary>
    public static LoadStrategy Lazy { get; } = new("lazy");

    /// <summary><c>eager</c>: a file is read whole, then its weights are given. For storage that is slow where reads are small or scattered.</summary>
    public static LoadStrategy Eager { get; } = new("eager");

    /// <summary><c>prefetch</c>: the weights of a file are given while the next file is read in the background.</summary>
    public static LoadStrategy Prefetch { get; } = new("prefetch");

    /// <summary><c>torchao</c>: tensors that torchao has stored as several are put together again (<see cref="WeightComponents"/>).</summary>
    public static LoadStrategy TorchAO { get; } = new("torchao");

    /// <summary>All of them.</summary>
    public static ImmutableArray<LoadStrategy> All { get; } = [Lazy, Eager, Prefetch, TorchAO];

    /// <summary>The name, as options and command lines take it.</summary>
    public string Name { get; }

    /// <summary>The strategy of this name.</summary>
    /// <param name="name">One of the names of <see cref="All"/>, in lower case.</param>
    /// <exception cref="ArgumentException">There is none of this name; the message lists them.</exception>
    public static LoadStrategy Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return All.FirstOrDefault(strategy => strategy.Name == name)
            ?? throw new ArgumentException(
                $"There is no load strategy {Quoted.Name(name)}; there are {string.Join(", ", All.Select(strategy => strategy.Name))}.", nameof(name));
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
