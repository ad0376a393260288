namespace IlgpuLoader.Formats;

/// <summary>A source whose reads wait for another machine: many at a time are worth more than few, whatever the cores.</summary>
public interface IRemoteByteSource : IByteSource
{
    /// <summary>How many reads at the same time are worth it, at least 1.</summary>
    int ParallelReads { get; }

    /// <summary>The bytes that one read is best asked for.</summary>
    int PreferredReadBytes { get; }
}
