namespace IlgpuLoader.Hosting;

/// <summary>How measurements of an instrument become numbers.</summary>
internal enum MetricKind
{
    /// <summary>Adds up, and only grows.</summary>
    Counter,

    /// <summary>Is what it was last.</summary>
    Gauge,

    /// <summary>Adds up, and may shrink.</summary>
    UpDown,

    /// <summary>Is counted in buckets.</summary>
    Histogram,
}
