using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>How a parameter or buffer is put together from what saved ranks have of it: known before a byte is read. Immutable.</summary>
internal sealed class ReshardedTensor
{
    private readonly Tensor _data;

    private ReshardedTensor(string name, Parameter? parameter, Tensor data, TensorSplit split, ImmutableArray<ReshardSource> sources) =>
        (Name, Parameter, _data, Split, Sources) = (name, parameter, data, split, sources);

    /// <summary>The full name.</summary>
    public string Name { get; }

    /// <summary>The parameter of this rank; null for a buffer.</summary>
    public Parameter? Parameter { get; }

    /// <summary>This rank's tensor as the model has it.</summary>
    public Tensor Data => Parameter?.Data ?? _data;

    /// <summary>Whether the state need not have it.</summary>
    public bool IsOptional => Parameter is { IsRequired: false };

    /// <summary>What this rank has of the whole.</summary>
    public TensorSplit Split { get; }

    /// <summary>The saved ranks that have something of what this rank needs, in their order.</summary>
    public ImmutableArray<ReshardSource> Sources { get; }

    /// <summary>Plans one.</summary>
    /// <param name="name">The full name.</param>
    /// <param name="parameter">The parameter; null for a buffer.</param>
    /// <param name="data">Its tensor.</param>
    /// <param name="saved">For each saved rank that has one of that name, the parameter (null for a buffer) and its tensor.</param>
    /// <param name="problems">Gets what makes it impossible; then the result is of no use.</param>
    public static ReshardedTensor Plan(
        string name, Parameter? parameter, Tensor data, IReadOnlyList<(int Rank, Parameter? Parameter, Tensor Data)> saved, List<string> problems)
    {
        var split = SplitOf(parameter, data);
        var others = saved.Select(entry => (entry.Rank, entry.Data, Split: SplitOf(entry.Parameter, entry.Data))).ToArray();
        var sources = ImmutableArray.CreateBuilder<ReshardSource>();
        if (others.Length == 0)
        {
            if (parameter is not { IsRequired: false })
            {
                problems.Add($"none of the saved ranks has {Quoted.Name(name)}");
            }
        }
        else if (others.FirstOrDefault(other => other.Data.DType != data.DType) is { Data: { } odd })
        {
            problems.Add($"{Quoted.Name(name)} is {odd.DType.Name} in the saved state and {data.DType.Name} in the model");
        }
        else if (others.FirstOrDefault(other => other.Split.Whole != split.Whole || other.Split.IsKnown != split.IsKnown) is { Data: { } other } differing)
        {
            problems.Add(
                split.IsKnown && differing.Split.IsKnown
                    ? $"{Quoted.Name(name)} is a share of {differing.Split.Whole} in the saved state and of {split.Whole} in the model"
                    : NotKnown(name, $"rank {Number(differing.Rank)} has the shape {other.Shape}, and the model {data.Shape}"));
        }
        else if (Collect(split, others, sources) is { } problem)
        {
            problems.Add(split.IsKnown ? $"{Quoted.Name(name)} cannot be put together: {problem}" : NotKnown(name, problem));
        }

        return new ReshardedTensor(name, parameter, data, split, sources.ToImmutable());
    }

    /// <summary>What is said where two ranks have other values of the same elements.</summary>
    public string Disagreement(int first, int second) => Split.IsKnown
        ? $"ranks {Number(first)} and {Number(second)} have other values of elements of {Quoted.Name(Name)} that both have"
        : NotKnown(Name, $"ranks {Number(first)} and {Number(second)} have other values");

    private static TensorSplit SplitOf(Parameter? parameter, Tensor data) => parameter is null ? TensorSplit.Of(data) : TensorSplit.Of(parameter);

    private static string NotKnown(string name, string since) => $"it is not known how {Quoted.Name(name)} is split: its loader does not say, and {since}";

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    // What this rank needs, from the first rank that has it; of others that have the same it is checked.
    private static string? Collect(TensorSplit split, IEnumerable<(int Rank, Tensor Data, TensorSplit Split)> saved, ImmutableArray<ReshardSource>.Builder sources)
    {
        var first = new List<(int Rank, SplitShare Share)>();
        foreach (var (rank, data, own) in saved)
        {
            var needed = ImmutableArray.CreateBuilder<ReshardShare>();
            foreach (var share in own.Shares.Where(share => split.Shares.Any(need => need.Box.Common(share.Box) > 0)))
            {
                var overlapping = first.Where(other => other.Share.Box.Common(share.Box) > 0).ToArray();
                if (overlapping.FirstOrDefault(other => !other.Share.IsSame(share)) is { Share: not null } other)
                {
                    return $"the shares of ranks {Number(other.Rank)} and {Number(rank)} have some elements in common and others not";
                }

                needed.Add(new ReshardShare(share, overlapping.Length == 0 ? null : overlapping[0].Rank));
                if (overlapping.Length == 0)
                {
                    first.Add((rank, share));
                }
            }

            if (needed.Count > 0)
            {
                sources.Add(new ReshardSource(rank, data.DType, data.Shape, needed.ToImmutable()));
            }
        }

        var missing = split.Shares.Sum(need => need.Box.Volume - first.Sum(entry => entry.Share.Box.Common(need.Box)));
        return missing == 0 ? null : $"none of the saved ranks has {Number(missing)} of its elements";
    }
}
