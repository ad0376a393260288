namespace IlgpuLoader.Loading;

/// <summary>Where a part of a run goes: whole elements or blocks of one tensor, or of a memory that several are views of.</summary>
/// <param name="Destination">The tensor's index in the plan; from <see cref="LoadPlan.Tensors"/>' length on, that of one of its <see cref="LoadPlan.Blocks"/>.</param>
/// <param name="RunOffset">Where the part begins, in bytes from the start of what the run keeps.</param>
/// <param name="ByteLength">Its size in bytes as stored.</param>
/// <param name="DestinationOffset">Where it goes, in bytes from the start of the tensor or block on the device.</param>
public readonly record struct Placement(int Destination, int RunOffset, int ByteLength, long DestinationOffset);
