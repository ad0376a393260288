using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Reports loads that are carried out side by side, or one after the other, as if they were one. Safe for any thread.</summary>
/// <param name="progress">Who is told; null for nobody.</param>
/// <param name="plans">All plans.</param>
internal sealed class SharedProgress(IProgress<LoadProgress>? progress, IEnumerable<LoadPlan> plans)
{
    private readonly Lock _lock = new();
    private readonly ImmutableDictionary<LoadPlan, long[]> _parts = progress is null
        ? ImmutableDictionary<LoadPlan, long[]>.Empty
        : plans.ToImmutableDictionary(plan => plan, _ => new long[2]);

    private LoadProgress _sum = progress is null ? default : new(0, plans.Sum(plan => plan.BytesToRead), 0, plans.Sum(plan => plan.Tensors.Length));

    /// <summary>Says what there is to do, before anything is done.</summary>
    public void Begin() => progress?.Report(_sum);

    /// <summary>What a plan reports to; null where nobody is told.</summary>
    public IProgress<LoadProgress>? Of(LoadPlan plan) => progress is null ? null : new Part(this, _parts[plan]);

    private void Report(long[] part, LoadProgress value)
    {
        lock (_lock)
        {
            var sum = _sum with { BytesRead = _sum.BytesRead + value.BytesRead - part[0], TensorsLoaded = _sum.TensorsLoaded + value.TensorsLoaded - (int)part[1] };
            (part[0], part[1]) = (value.BytesRead, value.TensorsLoaded);
            if (sum != _sum)
            {
                _sum = sum;
                progress!.Report(sum);
            }
        }
    }

    private sealed class Part(SharedProgress shared, long[] counts) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => shared.Report(counts, value);
    }
}
