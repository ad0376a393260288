using System.Diagnostics;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Counts comparisons and keeps the first that failed.</summary>
internal sealed class CheckTally(string name)
{
    // Enough to see a pattern in; the rest is counted.
    private const int KeptFailures = 20;

    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly List<string> _failures = [];
    private long _cases;
    private long _failed;

    /// <summary>Counts one comparison of bytes.</summary>
    public void Compare(string what, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        var difference = DeviceBytes.FirstDifference(expected, actual);
        if (difference < 0)
        {
            _cases++;
            return;
        }

        var at = (int)Math.Min(difference, Math.Min(expected.Length, actual.Length));
        Fail($"{what}: byte {difference} of {expected.Length} is the first that differs: expected {Some(expected[at..])}, found {Some(actual[at..])}");
    }

    /// <summary>Counts something that went well.</summary>
    public void Pass() => _cases++;

    /// <summary>Counts something that did not.</summary>
    public void Fail(string failure)
    {
        _cases++;
        _failed++;
        if (_failures.Count < KeptFailures)
        {
            _failures.Add(failure);
        }
    }

    public CheckRow End()
    {
        if (_failed > _failures.Count)
        {
            _failures.Add($"and {_failed - _failures.Count} more");
        }

        if (_cases == 0)
        {
            _failures.Add("nothing was compared");
        }

        return new CheckRow(name, _cases, _failures, Stopwatch.GetElapsedTime(_started).TotalSeconds);
    }

    private static string Some(ReadOnlySpan<byte> bytes) => Convert.ToHexString(bytes[..Math.Min(8, bytes.Length)]);
}
