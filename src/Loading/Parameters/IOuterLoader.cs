namespace IlgpuLoader.Loading;

/// <summary>What a <see cref="WeightLoader"/> is the method of that calls other delegates.</summary>
internal interface IOuterLoader
{
    /// <summary>The same loader around other delegates.</summary>
    /// <param name="change">Gives, for a delegate, one of the same type; the same one where nothing changes.</param>
    /// <returns>A new loader, or the one that this is the target of where no delegate changes.</returns>
    WeightLoader With(Func<Delegate, Delegate> change);
}
