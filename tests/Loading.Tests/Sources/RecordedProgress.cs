using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Every report of a load, in the order in which it came.</summary>
public sealed class RecordedProgress : IProgress<LoadProgress>
{
    private readonly List<LoadProgress> _reports = [];
    private int _inside;

    public IReadOnlyList<LoadProgress> Reports => _reports;

    public void Report(LoadProgress value)
    {
        Assert.Equal(1, Interlocked.Increment(ref _inside));
        _reports.Add(value);
        Interlocked.Decrement(ref _inside);
    }

    /// <summary>Asserts that counts only grew and that the last report is complete.</summary>
    public void AssertComplete(LoadPlan plan)
    {
        Assert.NotEmpty(_reports);
        Assert.All(_reports.Zip(_reports.Skip(1)), pair =>
        {
            Assert.True(pair.Second.BytesRead >= pair.First.BytesRead);
            Assert.True(pair.Second.TensorsLoaded >= pair.First.TensorsLoaded);
            Assert.NotEqual(pair.First, pair.Second);
        });
        Assert.Equal(
            new LoadProgress(plan.BytesToRead, plan.BytesToRead, plan.Tensors.Length, plan.Tensors.Length), _reports[^1]);
    }
}
