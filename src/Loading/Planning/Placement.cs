namespace IlgpuLoader.Loading;

/// <summary>Where a part of a run goes: whole elements or blocks of one tensor.</summary>
/// <param name="Tensor">The tensor's index in the plan.</param>
/// <param name="RunOffset">Where the part begins, in bytes from the start of what the run keeps.</param>
/// <param name="ByteLength">Its size in bytes as stored.</param>
/// <param name="DestinationOffset">Where it goes, in bytes from the start of the tensor on the device.</param>
public readonly record struct Placement(int Tensor, int RunOffset, int ByteLength, long DestinationOffset);
