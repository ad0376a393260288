namespace IlgpuLoader.Formats.Pickle;

/// <summary>What may be done with a global. Whatever it is, it is only a name: nothing is ever looked up or called.</summary>
internal enum PickleGlobalKind
{
    /// <summary>A function: REDUCE only.</summary>
    Function,
    /// <summary>A class: REDUCE, NEWOBJ, and BUILD of what comes of them.</summary>
    Class,
    /// <summary>A class of dictionaries (OrderedDict, Counter): also SETITEM and SETITEMS of what comes of it.</summary>
    Dictionary,
    /// <summary>A dtype, a storage class, a layout: named, never called.</summary>
    Constant,
    /// <summary>Nobody knows: everything that a pickle does with it or what comes of it is noted.</summary>
    Unknown,
}
