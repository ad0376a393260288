namespace IlgpuLoader.Loading;

/// <summary>
/// Puts a weight into a parameter: narrows both to what belongs together on this rank, and copies (<see cref="Weight.CopyTo"/>). It runs first
/// on a parameter without storage with a weight whose values are not read yet, so that what it copies is known beforehand and nothing else is
/// read; one that asks for values (<see cref="Weight.Materialize"/>, <see cref="Parameter.ValuesNeeded"/>) runs again when they are there. So it may run several times, and has
/// to come to the same each time.
/// </summary>
/// <param name="parameter">The parameter.</param>
/// <param name="weight">The weight; stays the caller's, as do the views that the loader makes of it.</param>
/// <param name="shard">Which part of the parameter the weight is.</param>
/// <exception cref="IlgpuLoader.Formats.ModelMismatchException">The weight does not fit; the message has the parameter, both shapes and the rank.</exception>
public delegate void WeightLoader(Parameter parameter, Weight weight, ShardId shard);
