namespace IlgpuLoader.Formats;

/// <summary>A storage that a pickle names as kept beside it.</summary>
/// <param name="Key">Its key in the file.</param>
/// <param name="Type">The class of its elements, such as <c>FloatStorage</c>.</param>
/// <param name="Elements">How many elements it has.</param>
/// <param name="Bytes">How many bytes these take.</param>
/// <param name="Location">The device that it was saved from, such as <c>cuda:0</c>; empty where the pickle has no text there.</param>
public sealed record AuditedStorage(string Key, string Type, long Elements, long Bytes, string Location);
