using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Reports loads that are carried out one after the other as if they were one.</summary>
/// <param name="progress">Who is told.</param>
/// <param name="plans">The plans, in their order.</param>
/// <param name="current">The plan that reports here.</param>
internal sealed class SuccessiveProgress(IProgress<LoadProgress> progress, ImmutableArray<LoadPlan> plans, int current) : IProgress<LoadProgress>
{
    private readonly long _bytesBefore = plans.Take(current).Sum(plan => plan.BytesToRead);
    private readonly long _bytes = plans.Sum(plan => plan.BytesToRead);
    private readonly int _tensorsBefore = plans.Take(current).Sum(plan => plan.Tensors.Length);
    private readonly int _tensors = plans.Sum(plan => plan.Tensors.Length);

    public void Report(LoadProgress value) =>
        progress.Report(new LoadProgress(_bytesBefore + value.BytesRead, _bytes, _tensorsBefore + value.TensorsLoaded, _tensors));
}
