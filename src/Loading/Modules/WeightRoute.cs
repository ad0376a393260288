using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a model does with a weight of a checkpoint. Immutable.</summary>
public sealed record WeightRoute
{
    private WeightRoute(ImmutableArray<WeightTarget> targets, string? skipped) => (Targets, SkippedSince) = (targets, skipped);

    /// <summary>The model knows no such weight.</summary>
    public static WeightRoute Unknown { get; } = new([], null);

    /// <summary>The parameters that it goes into; several where one weight fills several.</summary>
    public ImmutableArray<WeightTarget> Targets { get; }

    /// <summary>Why the model leaves the weight out, such as <c>the output is tied to the embedding</c>; null where it does not.</summary>
    public string? SkippedSince { get; }

    /// <summary>Whether the model knows no such weight.</summary>
    public bool IsUnknown => Targets.IsEmpty && SkippedSince is null;

    /// <summary>The weight goes into a parameter.</summary>
    public static WeightRoute To(Parameter parameter, ShardId shard = default) => new([new WeightTarget(parameter, shard)], null);

    /// <summary>The weight goes into several parameters.</summary>
    public static WeightRoute To(params ImmutableArray<WeightTarget> targets) => new(targets, null);

    /// <summary>The model knows the weight, and has no use for it.</summary>
    /// <param name="reason">Why, in a few words.</param>
    /// <exception cref="ArgumentNullException">There is no reason.</exception>
    public static WeightRoute Skip(string reason) => new([], reason ?? throw new ArgumentNullException(nameof(reason)));
}
