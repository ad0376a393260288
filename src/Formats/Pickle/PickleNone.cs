namespace IlgpuLoader.Formats.Pickle;

/// <summary>Python's <c>None</c>.</summary>
internal sealed class PickleNone
{
    private PickleNone()
    {
    }

    /// <summary>The only one.</summary>
    public static PickleNone Instance { get; } = new();
}
