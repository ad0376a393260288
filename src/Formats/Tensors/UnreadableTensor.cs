namespace IlgpuLoader.Formats;

/// <summary>
/// A tensor of a type that nobody here knows: it is listed where that is asked for
/// (<see cref="CheckpointOptions.ListUnreadableTensors"/>), and can be neither read nor loaded.
/// </summary>
/// <param name="Name">The name in the checkpoint.</param>
/// <param name="TypeId">The number that the file gives the type.</param>
/// <param name="TypeName">The type as a listing shows it, such as <c>type 77?</c>, or <c>Q4_2 (removed)</c> where ggml once had it.</param>
/// <param name="Shape">The logical dimensions, outermost first.</param>
/// <param name="File">The file that holds it.</param>
/// <param name="Offset">Where its data begins, in bytes from the start of the file; how long it is, nobody knows.</param>
/// <param name="Reason">Why it cannot be read, as a sentence.</param>
public sealed record UnreadableTensor(string Name, int TypeId, string TypeName, Shape Shape, CheckpointFile File, long Offset, string Reason);
