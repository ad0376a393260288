using System.Collections.Immutable;

namespace IlgpuLoader.Hosting;

/// <summary>A load or reload that came to its end. Immutable.</summary>
/// <param name="IsReload">Whether the model was there before.</param>
/// <param name="Elapsed">The time that passed, from opening the files to the last stage.</param>
/// <param name="BytesRead">Bytes read from files.</param>
/// <param name="Stages">Where the time went, in order.</param>
public sealed record CompletedLoad(bool IsReload, TimeSpan Elapsed, long BytesRead, ImmutableArray<LoadStage> Stages)
{
    /// <summary>Layers that kept their old weights in a reload, because they were leased for too long or did not fit; 0 elsewhere.</summary>
    public int OldLayers { get; init; }

    /// <summary>What of <see cref="Elapsed"/> went into a download; zero where the files were there, or were streamed.</summary>
    public TimeSpan DownloadTime => new(Stages.Where(stage => stage.Name == LoadStage.Download).Sum(stage => stage.Elapsed.Ticks));

    /// <summary>Bytes read a second of the time that was no download.</summary>
    public double BytesPerSecond => Elapsed - DownloadTime is var reading && reading > TimeSpan.Zero ? BytesRead / reading.TotalSeconds : 0;
}
