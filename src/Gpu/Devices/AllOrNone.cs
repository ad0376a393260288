using System.Collections.Immutable;
using System.Runtime.ExceptionServices;

namespace IlgpuLoader.Gpu;

/// <summary>What is done for each of several: for all of them, or as if for none.</summary>
internal static class AllOrNone
{
    /// <summary>Makes one thing for each device; disposes those it has made if one fails.</summary>
    public static ImmutableArray<T> Make<T>(ImmutableArray<Device> members, Func<Device, T> make)
        where T : IDisposable
    {
        var made = ImmutableArray.CreateBuilder<T>(members.Length);
        try
        {
            foreach (var member in members)
            {
                made.Add(make(member));
            }

            return made.MoveToImmutable();
        }
        catch
        {
            ForEach(made, one => one.Dispose());
            throw;
        }
    }

    /// <summary>Does the same to each, also where it fails for one before: nothing is left unfreed or unfinished. The first failure is thrown.</summary>
    public static void ForEach<T>(IEnumerable<T> each, Action<T> act)
    {
        ExceptionDispatchInfo? first = null;
        foreach (var one in each)
        {
            try
            {
                act(one);
            }
            catch (Exception exception)
            {
                first ??= ExceptionDispatchInfo.Capture(exception);
            }
        }

        first?.Throw();
    }
}
