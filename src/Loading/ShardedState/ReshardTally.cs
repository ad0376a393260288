namespace IlgpuLoader.Loading;

/// <summary>Counts what a resharding has read, and reports it. Not safe for several threads.</summary>
/// <param name="progress">Told of it; null for nobody.</param>
/// <param name="tensors">What is read.</param>
internal sealed class ReshardTally(IProgress<LoadProgress>? progress, List<ReshardedTensor> tensors)
{
    private readonly long _total = tensors.Sum(tensor => tensor.Sources.Sum(source => source.ByteLength));
    private long _bytes;
    private int _tensors;

    /// <summary>Counts a share, whether the state has it or not.</summary>
    public void Add(ReshardSource source)
    {
        _bytes += source.ByteLength;
        Report();
    }

    /// <summary>Counts a tensor.</summary>
    public void AddTensor()
    {
        _tensors++;
        Report();
    }

    private void Report() => progress?.Report(new LoadProgress(_bytes, _total, _tensors, tensors.Count));
}
