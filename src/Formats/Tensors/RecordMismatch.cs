namespace IlgpuLoader.Formats;

/// <summary>A record whose bytes are not those that its container describes.</summary>
/// <param name="Record">Its name.</param>
/// <param name="Offset">Where its bytes begin, in bytes from the start of the file.</param>
/// <param name="Length">How many bytes it takes in the file.</param>
/// <param name="Problem">What is wrong, as the record's predicate.</param>
internal sealed record RecordMismatch(string Record, long Offset, long Length, string Problem);
