namespace IlgpuLoader.Loading;

/// <summary>How the bytes of a run come from its file.</summary>
public enum RunKind : byte
{
    /// <summary>Side by side, into a staging slot.</summary>
    Staged,

    /// <summary>Side by side, straight into their place, without a staging slot.</summary>
    InPlace,

    /// <summary>
    /// Side by side in a mapped file, of a plan for the host: decoded from there into their place, without a staging slot. Of a tensor that
    /// is a view of the mapping nothing is placed: its bytes are hashed.
    /// </summary>
    Mapped,

    /// <summary>Segments of a sliced tensor, each read by itself, into a slot one behind the other.</summary>
    Gathered,

    /// <summary>
    /// Segments of a sliced tensor with all that lies between them in one read, moved together in the slot ("data
    /// sieving").
    /// </summary>
    Sieved,

    /// <summary>
    /// Elements of a view that do not lie side by side, in row-major order into a slot, by as many reads as that takes. The run counts with
    /// the bytes of the elements.
    /// </summary>
    Viewed,
}
